"""Ways in: remotes, MQTT topics, the webhook, standard input."""
