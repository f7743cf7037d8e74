package exporter

import (
	"fmt"
	"strings"
)

// A Verdict is an audit in one sentence.
type Verdict struct {
	Lost bool   `json:"lost"` // something was lost or dropped, or an account does not add up
	Text string `json:"text"`
}

const nothingLost = "nothing lost: every line read was delivered or is pending"

// Judge sets the verdict and what it cannot know, for the sinks and targets that the audit holds. With sinceStart, it is
// about this process alone and not about the sinks' lifetime.
func (a *Audit) Judge(sinceStart bool) {
	var findings []string
	doubtful, gaps := int64(0), int64(0)
	for i := range a.Sinks {
		s := &a.Sinks[i]
		if f := s.findings(sinceStart); len(f) > 0 {
			findings = append(findings, s.Name+": "+strings.Join(f, ", "))
		}
		_, _, vanished := s.losses(sinceStart)
		doubtful += s.SinceStart.DoubtfulLines
		gaps += vanished
	}
	a.Verdict = Verdict{Text: nothingLost}
	if len(findings) > 0 {
		a.Verdict = Verdict{Lost: true, Text: "LOST: " + strings.Join(findings, "; ")}
	}
	a.CannotKnow = []string{
		"lines that were deleted before leatd first saw their file",
		"what leatd itself logged last, in a pod that was deleted with its log",
		"what a store does with lines after it said that it has them; for Loki, README.md says what a 204 proves",
	}
	if gaps > 0 {
		a.CannotKnow = append(a.CannotKnow, fmt.Sprintf("how many lines were in %s that vanished before leatd had read them (gaps)", Plural(gaps, "file")))
	}
	if doubtful > 0 {
		a.CannotKnow = append(a.CannotKnow, fmt.Sprintf("which of %s marked ≤ a store left out of requests that it took in part: so many were delivered at most",
			Plural(doubtful, "line")))
	}
}

// findings are what is wrong with a sink's lines.
func (s *AuditSink) findings(sinceStart bool) (list []string) {
	broken := !s.SinceStart.Consistent
	for i := range s.Targets {
		broken = broken || !s.Targets[i].Consistent
	}
	if broken {
		list = append(list, "the ledger does not add up, which is a defect of leatd: please report it")
	}
	dropped, lost, gaps := s.losses(sinceStart)
	switch {
	case dropped.Lines > 0:
		list = append(list, Plural(dropped.Lines, "line")+" dropped")
	case dropped.Bytes > 0:
		list = append(list, Plural(dropped.Bytes, "byte")+" of long lines cut off")
	}
	if lost > 0 {
		list = append(list, Plural(lost, "byte")+" gone before they were read")
	}
	if gaps > 0 {
		list = append(list, Plural(gaps, "file")+" gone, nobody knows how large")
	}
	leftOut := int64(0)
	for _, n := range s.LeftOutLines {
		leftOut += n
	}
	if s.SinceStart.DoubtfulLines > 0 {
		list = append(list, fmt.Sprintf("%s or more of %s left out by the store", Grouped(max(1, leftOut)), Plural(s.SinceStart.DoubtfulLines, "line")))
	}
	return list
}

// losses are what did not arrive, since the start or over the lifetime. That holds this life too, but for what was
// counted since it was saved.
func (s *AuditSink) losses(sinceStart bool) (dropped Amount, lost, gaps int64) {
	dropped, lost = s.SinceStart.Losses()
	gaps = s.SinceStart.Gaps
	if !sinceStart {
		dropped.Lines = max(dropped.Lines, s.Lifetime.Dropped.Lines)
		dropped.Bytes = max(dropped.Bytes, s.Lifetime.Dropped.Bytes)
		lost, gaps = max(lost, s.Lifetime.LostBytes), max(gaps, s.Lifetime.Gaps)
	}
	return dropped, lost, gaps
}

// Plural is a number with its noun, the thousands apart.
func Plural(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Grouped(n) + " " + noun
}

// Grouped is a number with its thousands apart.
func Grouped(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
