// Command kstatus says what Flux, kpt and others that use kstatus make of objects.
//
// It reads one JSON object a line and writes one line for each:
// {"status": "Current", "message": "..."}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

const maxLine = 4 << 20

type answer struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLine)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		said, err := compute(lines.Bytes())
		if err != nil {
			return err
		}
		if err := out.Encode(said); err != nil {
			return err
		}
	}
	return lines.Err()
}

func compute(line []byte) (answer, error) {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(line); err != nil { // unlike encoding/json it keeps integers
		return answer{}, fmt.Errorf("a line is no object: %w", err)
	}
	result, err := status.Compute(&object)
	if err != nil {
		return answer{}, err
	}
	return answer{Status: result.Status.String(), Message: result.Message}, nil
}
