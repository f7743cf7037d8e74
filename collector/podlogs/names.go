package podlogs

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parsePod splits the name of a pod's folder. A namespace and a uid hold no underscore, so the first and the last count.
func parsePod(name string) (namespace, pod, uid string, ok bool) {
	first, last := strings.IndexByte(name, '_'), strings.LastIndexByte(name, '_')
	if first < 0 || first == last || !printable(name) {
		return "", "", "", false
	}
	namespace, pod, uid = name[:first], name[first+1:last], name[last+1:]
	return namespace, pod, uid, namespace != "" && pod != "" && uid != ""
}

// parseLog reads the restart number off the name of a log file; the suffix is what a rotation put after ".log". It wants
// the number as the kubelet writes it, so that no two names mean the same file.
func parseLog(name string) (restart int, suffix string, ok bool) {
	number, suffix, ok := strings.Cut(name, ".log")
	if !ok || !printable(name) {
		return 0, "", false
	}
	restart, err := strconv.Atoi(number)
	if err != nil || restart < 0 || strconv.Itoa(restart) != number {
		return 0, "", false
	}
	return restart, suffix, true
}

// printable keeps out what would spoil a log line, a label or saved state.
func printable(name string) bool {
	return utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0
}
