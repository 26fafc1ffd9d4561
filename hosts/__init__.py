"""Other machines, over ssh: installs shoal there, starts and stops a cluster's processes.

Keeps nothing here: what runs, and its logs, are on the hosts (on-host.sh says where). They need
Python 3.11 or newer, tar and sshd. Prints nothing: that is up to commands/.
"""
