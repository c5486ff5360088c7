package acme

// AcmeHostState says whether a host is in use.
type AcmeHostState string

// States of a host.
const (
	AcmeHostUp      AcmeHostState = "UP"
	AcmeHostRetired AcmeHostState = "RETIRED"
)

// AcmeAccount is the answer of GET /account.
type AcmeAccount struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// AcmeHost is one machine, as in GET /hosts and GET /hosts/{id}.
type AcmeHost struct {
	ID    string        `json:"id"`
	Label string        `json:"label"`
	State AcmeHostState `json:"state"`
	// FQDN is missing for hosts that were never resolved.
	FQDN *string `json:"fqdn,omitempty"`
	// Alerts holds the open alerts, at most 50; the API does not page them.
	Alerts []AcmeAlert `json:"alerts"`
}

// AcmeAlert is an open alert on a host.
type AcmeAlert struct {
	ID      string `json:"id"`
	Summary string `json:"summary"`
	// Level runs from 1 (harmless) to 5 (worst).
	Level int `json:"level"`
}

// AcmeHostPage is the answer of GET /hosts.
type AcmeHostPage struct {
	Hosts []AcmeHost `json:"hosts"`
	// Next is the token of the next page, empty on the last.
	Next string `json:"next"`
}
