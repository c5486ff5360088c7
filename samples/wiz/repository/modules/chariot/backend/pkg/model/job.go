package model

import "sync"

// Job is one run of one integration for one customer. It may be used from several goroutines.
type Job struct {
	// Source names the integration, e.g. "acme".
	Source string
	// Secret holds what the customer entered: "url", "token".
	Secret map[string]string
	// Settings holds the customer's choices, e.g. "min_severity".
	Settings map[string]string

	mu   sync.Mutex
	sent []any
}

// NewJob returns a job for the named integration.
func NewJob(source string, secret, settings map[string]string) *Job {
	return &Job{Source: source, Secret: secret, Settings: settings}
}

// Send hands entities to the platform. Ask the VMFilter first: what is sent is kept and billed.
func (j *Job) Send(entities ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sent = append(j.sent, entities...)
}

// Sent returns what was sent so far, in order.
func (j *Job) Sent() []any {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]any(nil), j.sent...)
}
