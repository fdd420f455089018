"""The web page: classify, extract and answer in a browser, on the server's own queues. Needs the extra "web"."""
