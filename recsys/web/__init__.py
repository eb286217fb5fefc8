"""The web pages and the API: recommendations with reasons, the feedback store, refits, and replay of logged lists."""
