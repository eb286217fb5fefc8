"""The web page and the API: recommendations with reasons, the store of feedback, refits and replay."""
