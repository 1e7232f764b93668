"""The page that runs a model in the browser: its files in `page`, and what writes them to a folder."""
