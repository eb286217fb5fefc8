"""Run directories, studies, and the tables and figures computed from them."""
