package container

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A name is who a container is for its owner.
type name struct{ namespace, pod, container string }

// names knows containers by their id and pods by their uid, from the kubelet's log folders:
//
//	containers/<pod>_<namespace>_<container>-<id>.log    a link
//	pods/<namespace>_<pod>_<uid>/
//
// They are listed again when they have changed and a name is wanted that is not there.
type names struct {
	links, pods listing
	byID        map[string]name
	byUID       map[string]name // without a container
}

// A listing is a folder as it was when it was listed.
type listing struct {
	path    string
	changed time.Time // its mtime then
	settled bool      // the mtime was old enough that a later change must have another one
}

// settles is longer than any file system's clock takes for a tick.
const settles = 2 * time.Second

// list returns the folder's names if they may have changed.
func (l *listing) list(now time.Time) (entries []fs.DirEntry, changed bool, err error) {
	info, err := os.Stat(l.path)
	if err != nil {
		l.settled = false
		return nil, true, err
	}
	if l.settled && info.ModTime().Equal(l.changed) {
		return nil, false, nil
	}
	l.changed = info.ModTime()
	l.settled = now.Sub(l.changed).Abs() > settles
	entries, err = os.ReadDir(l.path)
	if err != nil {
		l.settled = false
	}
	return entries, true, err
}

// refresh lists what has changed. A folder that is not there is an empty one: plain Docker has none.
func (n *names) refresh(now time.Time) error {
	links, changed, err := n.links.list(now)
	if changed {
		n.byID = make(map[string]name, len(links))
		for _, e := range links {
			if id, who, ok := parseLink(e.Name()); ok {
				n.byID[id] = who
			}
		}
	}
	if err != nil && !missing(err) {
		return failure("list", n.links.path, err)
	}
	pods, changed, err := n.pods.list(now)
	if changed {
		n.byUID = make(map[string]name, len(pods))
		for _, e := range pods {
			if uid, who, ok := parsePod(e.Name()); ok {
				n.byUID[uid] = who
			}
		}
	}
	if err != nil && !missing(err) {
		return failure("list", n.pods.path, err)
	}
	return nil
}

// parseLink splits the name of a link to a container's log. The parts hold no underscore and an id holds no hyphen. The
// kubelet cuts the end off a name that is too long for a file; then there is no id.
func parseLink(link string) (id string, who name, ok bool) {
	link, ok = strings.CutSuffix(link, ".log")
	i := strings.LastIndexByte(link, '-')
	if !ok || i < 0 || len(link)-i-1 != 64 || !printable(link) {
		return "", name{}, false
	}
	id = link[i+1:]
	parts := strings.Split(link[:i], "_")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return "", name{}, false
	}
	return id, name{pod: parts[0], namespace: parts[1], container: parts[2]}, true
}

// parsePod splits the name of a pod's folder. A namespace and a uid hold no underscore, so the first and the last count.
func parsePod(folder string) (uid string, who name, ok bool) {
	first, last := strings.IndexByte(folder, '_'), strings.LastIndexByte(folder, '_')
	if first <= 0 || last <= first+1 || last == len(folder)-1 || !printable(folder) {
		return "", name{}, false
	}
	return folder[last+1:], name{namespace: folder[:first], pod: folder[first+1 : last]}, true
}

// printable keeps out what would spoil a label or a log line.
func printable(name string) bool {
	return utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0
}

// namesBeside is the names for the kubelet's folder of logs.
func namesBeside(pods string) names {
	return names{
		links: listing{path: filepath.Join(filepath.Dir(filepath.Clean(pods)), "containers")},
		pods:  listing{path: pods},
	}
}
