"""A loopback of its own that can be cut: up at first, then `up` and `down` on the standard input.

unshare --user --map-root-user --net --uts python network.py
"""

import fcntl
import socket
import struct
import sys

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 1  # of Linux' sockios.h and if.h


def switch(up):
    """Sets the interface; what is sent while it is down is lost, as by a switch without power."""
    with socket.socket() as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, GET_FLAGS, request))
        flags = flags | UP if up else flags & ~UP
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", flags))


if __name__ == "__main__":
    socket.sethostname("localhost")  # by which the workers find each other
    switch(True)
    print("up", flush=True)
    for word in sys.stdin:
        switch(word.strip() == "up")
        print(word.strip(), flush=True)
