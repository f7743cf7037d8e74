package kubetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	services  = "10.96.0.0/16" // the addresses of Services
	serviceIP = "10.96.0.1"    // the API server's Service has the first of them
)

func nodeAddress() []byte { return netip.MustParseAddr(NodeIP).AsSlice() }

// interfaces brings up the loopback interface, and gives it the node's address as well.
func interfaces() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("interfaces: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	node, err := unix.NewIfreq("lo:node")
	if err != nil {
		return err
	}
	if err := errors.Join(
		node.SetInet4Addr(nodeAddress()),
		unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo),
		unix.IoctlIfreq(fd, unix.SIOCSIFADDR, node),
	); err != nil {
		return fmt.Errorf("interfaces: %w", err)
	}
	mask, err := unix.NewIfreq("lo:node")
	if err != nil {
		return err
	}
	if err := errors.Join(mask.SetInet4Addr([]byte{255, 255, 255, 255}), unix.IoctlIfreq(fd, unix.SIOCSIFNETMASK, mask)); err != nil {
		return fmt.Errorf("interfaces: %w", err)
	}
	return nil
}

// routeServices makes a route to the addresses of Services. Any will do, for kube-proxy's rules put a pod's address in their
// place on the way out; machines have their default route for it.
func routeServices() error {
	to := netip.MustParsePrefix(services)
	message, err := binary.Append(nil, binary.NativeEndian, unix.RtMsg{
		Family: unix.AF_INET, Dst_len: uint8(to.Bits()), Table: unix.RT_TABLE_MAIN, Protocol: unix.RTPROT_STATIC,
		Scope: unix.RT_SCOPE_LINK, Type: unix.RTN_UNICAST,
	})
	for _, attribute := range []struct {
		kind  uint16
		value []byte // of four bytes
	}{
		{unix.RTA_DST, to.Addr().AsSlice()}, {unix.RTA_PREFSRC, nodeAddress()},
		{unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, 1)}, // lo
	} {
		message = binary.NativeEndian.AppendUint16(message, unix.SizeofRtAttr+4)
		message = binary.NativeEndian.AppendUint16(message, attribute.kind)
		message = append(message, attribute.value...)
	}
	request, e := binary.Append(nil, binary.NativeEndian, unix.NlMsghdr{
		Len: uint32(unix.SizeofNlMsghdr + len(message)), Type: unix.RTM_NEWROUTE,
		Flags: unix.NLM_F_REQUEST | unix.NLM_F_CREATE | unix.NLM_F_EXCL | unix.NLM_F_ACK,
	})
	if err := errors.Join(err, e, ask(append(request, message...))); err != nil {
		return fmt.Errorf("route to %s: %w", services, err)
	}
	return nil
}

// ask makes one request by rtnetlink(7) and returns what the kernel says of it.
func ask(request []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	messages, err := syscall.ParseNetlinkMessage(answer[:n])
	if err != nil {
		return err
	}
	for _, m := range messages {
		if m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
			return fmt.Errorf("the kernel answers with a message of type %d", m.Header.Type)
		}
		if code := int32(binary.NativeEndian.Uint32(m.Data)); code != 0 {
			return unix.Errno(-code)
		}
	}
	return nil
}
