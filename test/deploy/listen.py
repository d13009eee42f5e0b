"""Hear what services tell systemd: bind the Unix datagram socket argv[1], and print each message as a line of JSON."""
import json
import socket
import sys

heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(sys.argv[1])
print('"listening"', flush=True)
while True:
    # The file descriptor of a barrier is not taken: it is closed, and systemd-notify goes on.
    print(json.dumps(heard.recv(4096).decode()), flush=True)
