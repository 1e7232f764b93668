"""The networks: their architecture, their files of weights, and their graphs for other runtimes."""
