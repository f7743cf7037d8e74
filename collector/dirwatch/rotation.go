package dirwatch

import (
	"cmp"
	"strings"
)

// A rotated file is called by its file's name and a suffix. Two kinds of suffix are in use, and they sort in opposite
// ways: a count (".1", ".2.gz": the larger, the older) and a time (".20260102-030405", "-20260102.gz": the smaller, the
// older). Up to four digits are a count.
const maxCount = 4

// CompareSuffix orders the files of one name by age, the oldest first, the file without a suffix last. Of a file and its
// gzipped copy the copy comes first.
func CompareSuffix(a, b string) int {
	kindA, countA, textA := rank(a)
	kindB, countB, textB := rank(b)
	return cmp.Or(
		cmp.Compare(kindA, kindB),
		cmp.Compare(countB, countA),
		strings.Compare(textA, textB),
		-cmp.Compare(len(a), len(b)),
	)
}

func rank(suffix string) (kind, count int, text string) {
	text = strings.TrimSuffix(suffix, ".gz")
	if text == "" {
		return 2, 0, ""
	}
	if n, ok := countOf(text); ok {
		return 1, n, ""
	}
	return 0, 0, text
}

// countOf reads ".1".
func countOf(suffix string) (n int, ok bool) {
	digits, ok := strings.CutPrefix(suffix, ".")
	if !ok || digits == "" || len(digits) > maxCount {
		return 0, false
	}
	for i := range len(digits) {
		if !digit(digits[i]) {
			return 0, false
		}
		n = n*10 + int(digits[i]-'0')
	}
	return n, true
}

// IsCount says that suffix is a count, gzipped or not: what Docker puts after a file's name.
func IsCount(suffix string) bool {
	_, ok := countOf(strings.TrimSuffix(suffix, ".gz"))
	return ok
}

// SplitRotation cuts the suffix that a rotation adds off a file's name: "auth.log-20260102.gz" is "auth.log" and
// "-20260102.gz". The suffix is empty where the name has none. It goes by the name alone, so that it says the same while
// a file is missing for the moment of its rotation, and after a restart.
//
// A count belongs to a rotation unless a dotted number comes before it ("10.0.0.1" is an address). A time is at least
// eight digits that begin with a year, in groups joined by one of "-_.:T", after "." or "-".
func SplitRotation(name string) (base, suffix string) {
	plain := strings.TrimSuffix(name, ".gz")
	if i := timeAt(plain); i > 0 {
		return name[:i], name[i:]
	}
	if i := strings.LastIndexByte(plain, '.'); i > 0 && IsCount(plain[i:]) && !dotted(plain[:i]) {
		return name[:i], name[i:]
	}
	if plain == "" || plain == "." {
		return name, ""
	}
	return plain, name[len(plain):]
}

// timeAt returns where a suffix that is a time begins, 0 if there is none: the longest run of digits and joints at the
// end of name, from the first joint on that a year follows.
func timeAt(name string) int {
	start := len(name)
	for start > 0 && (digit(name[start-1]) || strings.IndexByte("-_.:T", name[start-1]) >= 0) {
		start--
	}
	for i := max(start, 1); i < len(name); i++ {
		if name[i] != '.' && name[i] != '-' {
			continue
		}
		if rest := name[i+1:]; year(rest) && isTime(rest) {
			return i
		}
	}
	return 0
}

func isTime(s string) bool {
	digits, joint := 0, true
	for i := range len(s) {
		switch d := digit(s[i]); {
		case d:
			digits++
			joint = false
		case joint:
			return false
		default:
			joint = true
		}
	}
	return digits >= 8 && !joint
}

func year(s string) bool {
	return len(s) > 4 && (s[:2] == "19" || s[:2] == "20") && digit(s[2]) && digit(s[3])
}

// dotted says that s is or ends in a number after a dot.
func dotted(s string) bool {
	rest := strings.TrimRight(s, "0123456789")
	return rest != s && (rest == "" || rest[len(rest)-1] == '.')
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
