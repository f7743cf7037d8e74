package container

import "bytes"

// number reads a decimal number that is all of text but for white space around it.
func number(text []byte) (n uint64, ok bool) {
	text = bytes.TrimSpace(text)
	for _, c := range text {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(text) > 0
}

// line cuts the first line off.
func line(text []byte) (first, rest []byte) {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, nil
}

// field cuts the first word off, and the white space around it.
func field(text []byte) (first, rest []byte) {
	text = bytes.TrimLeft(text, " \t")
	if i := bytes.IndexAny(text, " \t"); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, nil
}

// keyed reads the next line of the form "key number". Lines of another form are skipped; at the end key is nil.
func keyed(text []byte) (key []byte, value uint64, rest []byte) {
	for len(text) > 0 {
		var l []byte
		l, text = line(text)
		if key, number_ := field(l); len(key) > 0 {
			if value, ok := number(number_); ok {
				return key, value, text
			}
		}
	}
	return nil, 0, nil
}

// pressure reads the totals of a pressure file, in microseconds (Documentation/accounting/psi.rst). Before Linux 5.13
// a CPU's has no line "full".
func pressure(text []byte) (some, full uint64, hasSome, hasFull bool) {
	for len(text) > 0 {
		var l []byte
		l, text = line(text)
		kind, l := field(l)
		for len(l) > 0 {
			var word []byte
			word, l = field(l)
			total, ok := bytes.CutPrefix(word, []byte("total="))
			if !ok {
				continue
			}
			switch n, ok := number(total); string(kind) {
			case "some":
				some, hasSome = n, ok
			case "full":
				full, hasFull = n, ok
			}
		}
	}
	return some, full, hasSome, hasFull
}

// A netLine is one interface of /proc/PID/net/dev: proc_net(5).
type netLine struct {
	name           []byte
	received, sent [4]uint64 // bytes, packets, errors, dropped
}

// netDev reads the next interface. The two lines of headings are none.
func netDev(text []byte) (n netLine, rest []byte, ok bool) {
	for len(text) > 0 {
		var l []byte
		l, text = line(text)
		i := bytes.LastIndexByte(l, ':')
		if i < 0 {
			continue
		}
		n := netLine{name: bytes.TrimSpace(l[:i])}
		l, good := l[i+1:], len(n.name) > 0
		for column := range 16 {
			var word []byte
			word, l = field(l)
			value, ok := number(word)
			good = good && ok
			switch {
			case column < 4:
				n.received[column] = value
			case column >= 8 && column < 12:
				n.sent[column-8] = value
			}
		}
		if good {
			return n, text, true
		}
	}
	return netLine{}, nil, false
}

// pids reads a list of processes. It returns how many there are, and the first few in first. A process of another PID
// namespace counts, but has no number: the kernel writes 0.
func pids(text []byte, first []int) (count int, _ []int, hidden bool) {
	for len(text) > 0 {
		var l []byte
		l, text = line(text)
		n, ok := number(l)
		if !ok || n > 1<<31-1 {
			continue
		}
		count++
		hidden = hidden || n == 0
		if n > 0 && len(first) < cap(first) {
			first = append(first, int(n))
		}
	}
	return count, first, hidden
}

// startTicks reads field 22 of /proc/PID/stat, in ticks since the machine's start: proc_pid_stat(5). The command's name
// may hold anything, blanks and brackets too.
func startTicks(text []byte) (ticks uint64, ok bool) {
	i := bytes.LastIndexByte(text, ')')
	if i < 0 {
		return 0, false
	}
	var word []byte
	for rest, n := text[i+1:], 3; n <= 22; n++ {
		word, rest = field(rest)
	}
	return number(word)
}
