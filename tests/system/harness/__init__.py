"""What the system tests stand on: the daemon, scripted origins, raw clients, small servers."""
