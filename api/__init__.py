"""What a program can do: ask the tracker, and give orders to a node on this machine, or be one.

Functions return values or raise an OperatorError (protocol.errors has its kinds). Nothing here
prints, installs a signal handler, sets up logging or ends the process: that is up to commands/.
"""
