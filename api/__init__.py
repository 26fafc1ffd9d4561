"""What a program can have done: ask the tracker, and have a node on this machine do something.

Functions return values or raise an OperatorError (protocol.errors has its kinds). Nothing here
prints, installs a signal handler, sets up logging or ends the process: that is up to commands/.
"""
