"""Tensors in, tensors out, and no text: the parts that encoders are made of.

rotary: positions as rotations; norms; masks: who may attend to whom; attention; block: branches around the residual
stream, with slots for every norm placement; transformer: stacks of blocks, and encoder with decoder; config: the frozen
value that chooses among all of them; initialization: starting values.
"""
