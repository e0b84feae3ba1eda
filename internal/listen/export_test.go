package listen

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Unsent is how much the kernel takes of an answer before it is sent on a connection from a Door.
func Unsent(c net.Conn) (n int, err error) {
	raw, err := inner(c).Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	if e := raw.Control(func(fd uintptr) { n, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) }); e != nil {
		return 0, e
	}
	return n, err
}
