"""A projector and its plug without hardware: the physics, the sockets, and a room of memory for virtual time."""
