package sinks

import "testing"

// In the steady state a block costs no allocation, and a request none either: but for zstd's own frame header and
// checksum.
func TestNoAllocations(t *testing.T) {
	if underRace {
		t.Skip("sync.Pool forgets under the race detector")
	}
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			b := newTestBlock(c.format)
			for _, mixed := range []bool{false, true} {
				o := ordinary(c.format, 200<<10, mixed)
				var lines []line
				for i := range o.Records {
					lines = append(lines, line{o.Records[i].Time, string(o.Body(&o.Records[i])), o.Records[i].Flags})
				}
				b.add(podTarget, o.Segments[0].Generation, 0, lines...)
			}
			b.add(fileTarget, b.Segments[0].Generation, 0, strangeLines...)
			b.add(podTarget, b.Segments[0].Generation, 0, strangeLines...)

			e := c.format.NewEncoder()
			request := func(blocks int) func() {
				return func() {
					e.Begin()
					for range blocks {
						for i := range b.Segments {
							e.Add(&b.Block, &b.Segments[i], b.Of(&b.Segments[i]))
						}
					}
					if e.Size() == 0 || len(e.End()) == 0 {
						t.Fatal("nothing encoded")
					}
				}
			}
			request(5)()
			request(5)()
			perRequest, perLonger := testing.AllocsPerRun(20, request(1)), testing.AllocsPerRun(20, request(5))
			allowed := 0.0
			switch f := c.format.(type) {
			case *OTLPFormat:
				if f.Compression == "zstd" {
					allowed = 2
				}
			case *NDJSONFormat:
				if f.Compression == "zstd" {
					allowed = 2
				}
			}
			if perRequest > allowed || perLonger > allowed {
				t.Errorf("%v allocations in a request of one block, %v in one of five, want %v", perRequest, perLonger, allowed)
			}
		})
	}
}
