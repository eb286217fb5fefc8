"""Run directories and the tables made of them."""
