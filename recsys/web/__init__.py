"""The platform: a web page and an API over trained runs, a store of feedback, and runs refitted with it."""
