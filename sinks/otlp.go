package sinks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// OTLP sends logs by OTLP/HTTP as protobuf. Only an answer that decodes as the protocol's own (200 with an
// ExportLogsServiceResponse, which may be empty) means that the lines are stored. A 204 without a body counts as well:
// it is what Loki's OTLP endpoint says. What a partial success says is left out is counted and never sent again.
type OTLP struct {
	OTLPFormat
	*sender
}

const otlpPath = "/v1/logs"

// NewOTLP makes the sink. It connects to nothing yet.
func NewOTLP(r Remote, f OTLPFormat) (*OTLP, error) {
	if err := f.Validate(); err != nil {
		return nil, prefixed(r.Name, err)
	}
	s, err := newSender(r, otlpPath, "application/x-protobuf", f.ContentEncoding(), acceptOTLP)
	if err != nil {
		return nil, err
	}
	return &OTLP{f, s}, nil
}

func acceptOTLP(r *reply) (wrong, remark string, leftOut int64) { return acceptExport(r, "records") }

// acceptExport understands the answer to an export of any signal; what names the things that it may leave out.
func acceptExport(r *reply, what string) (wrong, remark string, leftOut int64) {
	switch {
	case r.StatusCode == http.StatusNoContent && len(r.words) == 0:
		return "", "", 0
	case r.StatusCode != http.StatusOK:
		return "is not how an OTLP receiver says that it has all (200): check url", "", 0
	case !r.whole:
		return fmt.Sprintf("the answer is longer than %d KiB: that is no OTLP receiver: check url", maxAnswer>>10), "", 0
	case r.Header.Get("Content-Encoding") != "" && len(r.words) > 0:
		return "the answer is compressed, which was not asked for: is a proxy in between?", "", 0
	}
	var rejected int64
	var message string
	var ok bool
	switch r.media() {
	case "application/json":
		rejected, message, ok = jsonResponse(r.words)
	case "", "application/x-protobuf", "application/protobuf", "application/octet-stream":
		rejected, message, ok = protobufResponse(r.words)
	default:
		ok = len(r.words) == 0
	}
	switch {
	case !ok:
		return "the answer is none of OTLP's: check the path in url", "", 0
	case rejected > 0:
		return "", fmt.Sprintf("the store took the request but not %d of its %s: \"%s\"", rejected, what, message), rejected
	case message != "":
		return "", fmt.Sprintf("the store took the request, with a warning: \"%s\"", message), 0
	}
	return "", "", 0
}

// protobufResponse reads an ExportLogsServiceResponse: partial_success = 1 {rejected_log_records = 1, error_message = 2};
// that of metrics has rejected_data_points in the same place.
func protobufResponse(b []byte) (rejected int64, message string, ok bool) {
	var partial []byte
	ok = fields(b, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) bool {
		if num == 1 {
			partial = v
			return typ == protowire.BytesType
		}
		return true
	})
	ok = ok && fields(partial, func(num protowire.Number, typ protowire.Type, v []byte, n uint64) bool {
		switch num {
		case 1:
			rejected = int64(n)
			return typ == protowire.VarintType
		case 2:
			message = string(v)
			return typ == protowire.BytesType && utf8.Valid(v)
		}
		return true
	})
	return rejected, message, ok
}

// jsonResponse reads the same as JSON, where a 64-bit number is a string, or for some a number.
func jsonResponse(b []byte) (rejected int64, message string, ok bool) {
	var r struct {
		PartialSuccess struct {
			RejectedLogRecords json.Number `json:"rejectedLogRecords"`
			RejectedDataPoints json.Number `json:"rejectedDataPoints"`
			ErrorMessage       string      `json:"errorMessage"`
		} `json:"partialSuccess"`
	}
	if len(b) == 0 {
		return 0, "", true
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return 0, "", false
	}
	for _, number := range []json.Number{r.PartialSuccess.RejectedLogRecords, r.PartialSuccess.RejectedDataPoints} {
		if number == "" {
			continue
		}
		n, err := number.Int64()
		if err != nil {
			return 0, "", false
		}
		rejected = max(rejected, n)
	}
	return rejected, r.PartialSuccess.ErrorMessage, true
}

// statusMessage finds the words in a google.rpc.Status {code = 1, message = 2}, which is how OTLP receivers refuse. It
// returns nothing for any other body.
func statusMessage(b []byte) (message []byte) {
	ok := fields(b, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) bool {
		switch {
		case num == 1 && typ == protowire.VarintType, num == 3 && typ == protowire.BytesType:
			return true
		case num == 2 && typ == protowire.BytesType:
			message = v
			return true
		}
		return false
	})
	if !ok || strings.TrimSpace(string(message)) == "" {
		return nil
	}
	return message
}

// fields walks the fields of a protobuf message until see returns false, and says whether all of it is well formed.
func fields(b []byte, see func(num protowire.Number, typ protowire.Type, v []byte, n uint64) bool) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(num, typ, b)
		if size < 0 {
			return false
		}
		var bytes []byte
		var number uint64
		switch typ {
		case protowire.BytesType:
			bytes, _ = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			number, _ = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			number, _ = protowire.ConsumeFixed64(b)
		}
		if !see(num, typ, bytes, number) {
			return false
		}
		b = b[size:]
	}
	return true
}
