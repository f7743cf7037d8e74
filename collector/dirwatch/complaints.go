package dirwatch

import (
	"log/slog"
	"time"
)

const (
	maxSaid   = 10000            // things remembered; past it all are forgotten and may be said again
	burst     = 20               // complaints that are logged at once
	perToken  = 10 * time.Second // and one more each
	hiddenKey = "not_logged"     // the attribute that counts those that were held back
)

// Complaints says a thing that is wrong once, says when it is over, and keeps thousands of strange folders from filling
// the log of leatd itself: past the first 20 it logs one in 10 s and counts the others.
type Complaints struct {
	log    *slog.Logger
	said   map[string]string // the complaint by its subject
	tokens int
	since  time.Time
	hidden int
}

// NewComplaints makes a Complaints that logs to log.
func NewComplaints(log *slog.Logger) *Complaints {
	return &Complaints{log: log, said: make(map[string]string), tokens: burst, since: time.Now()}
}

// Once logs msg about subject, unless that was the last thing said about it.
func (c *Complaints) Once(subject, msg string, args ...any) {
	if c.said[subject] == msg {
		return
	}
	if len(c.said) >= maxSaid {
		clear(c.said)
	}
	c.said[subject] = msg
	now := time.Now()
	if n := now.Sub(c.since) / perToken; n > 0 {
		c.tokens = min(burst, c.tokens+int(min(n, burst)))
		c.since = now
	}
	if c.tokens == 0 {
		c.hidden++
		return
	}
	c.tokens--
	if c.hidden > 0 {
		args = append(args[:len(args):len(args)], hiddenKey, c.hidden)
		c.hidden = 0
	}
	c.log.Warn(msg, args...)
}

// Over logs msg if something was wrong with subject, and forgets it.
func (c *Complaints) Over(subject, msg string, args ...any) {
	if _, ok := c.said[subject]; ok {
		delete(c.said, subject)
		c.log.Info(msg, args...)
	}
}

// Forget lets the next complaint about subject be said: the subject is gone, and what comes under its name is another.
func (c *Complaints) Forget(subject string) { delete(c.said, subject) }
