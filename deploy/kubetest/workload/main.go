// Command workload is what the pods of the tests run. Without arguments it waits for its end, as a pause container does.
// Otherwise it writes numbered lines and ends or waits.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	lines := flag.Int("lines", 0, "numbered `lines` to write, beginning with 0")
	rate := flag.Int("rate", 0, "lines a second; 0 writes them at once")
	length := flag.Int("length", 100, "`bytes` of a line without its newline, at least")
	last := flag.String("last", "", "last `words`, without a newline")
	exit := flag.Int("exit", -1, "exit `code` after that; -1 waits for a signal")
	busy := flag.Duration("busy", 0, "`time` to keep a CPU busy before the lines")
	memory := flag.Int("memory", 0, "`bytes` of memory to hold")
	disk := flag.String("file", "", "`path` to write as many bytes to as there is memory held")
	flag.Parse()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)

	for end := time.Now().Add(*busy); time.Now().Before(end); {
	}
	held := make([]byte, *memory)
	for i := range held {
		held[i] = byte(i)
	}
	if *disk != "" {
		if err := write(*disk, held); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if !number(*lines, *rate, *length, stop) {
		return
	}
	fmt.Print(*last)
	if *exit >= 0 {
		os.Exit(*exit)
	}
	<-stop
}

// number writes the lines. It is false if it was told to stop before the last one; a line is then whole all the same.
func number(lines, rate, length int, stop <-chan os.Signal) bool {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	const turns = 50 // a second
	tick := time.NewTicker(time.Second / turns)
	defer tick.Stop()
	start := time.Now()
	for i := 0; i < lines; {
		due := lines
		if rate > 0 {
			due = min(lines, 1+int(time.Since(start).Seconds()*float64(rate)))
		}
		for ; i < due; i++ {
			fmt.Fprintf(out, "line %0*d\n", length-len("line "), i)
		}
		out.Flush()
		if i == lines {
			break
		}
		select {
		case <-tick.C:
		case <-stop:
			return false
		}
	}
	return true
}

// write writes to a file and makes sure that it is on the disk.
func write(path string, text []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}
