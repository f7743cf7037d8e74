package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// A blockDevice has the labels for a device.
type blockDevice struct {
	name         []*dto.LabelPair // device alone
	major, minor *dto.LabelPair
}

// blockDevice finds a device's name once in a scrape: a number can be given to another one.
func (s *source) blockDevice(d device) *blockDevice {
	b := s.devices[d]
	if b == nil {
		b = &blockDevice{
			name:  []*dto.LabelPair{pair("device", deviceName(s.sysfs, d))},
			major: pair("major", strconv.Itoa(int(d.major))), minor: pair("minor", strconv.Itoa(int(d.minor))),
		}
		s.devices[d] = b
	}
	return b
}

func (b *blockDevice) operation(name string) []*dto.LabelPair {
	return []*dto.LabelPair{b.name[0], b.major, b.minor, pair("operation", name)}
}

// deviceName is the device's file, /dev/sda, or its number where the kernel does not tell: two devices must not have
// the same labels. In /sys a slash in a name is an exclamation mark.
func deviceName(sysfs string, d device) string {
	number := fmt.Sprintf("%d:%d", d.major, d.minor)
	to, err := os.Readlink(filepath.Join(sysfs, "dev/block", number))
	if name := filepath.Base(to); err == nil && printable(name) {
		return "/dev/" + strings.ReplaceAll(name, "!", "/")
	}
	return number
}
