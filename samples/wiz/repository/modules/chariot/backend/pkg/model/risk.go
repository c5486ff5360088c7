package model

// Severity says how bad a risk is.
type Severity string

// Severities, from harmless to worst.
const (
	SeverityInfo     Severity = "info"
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// Rank orders severities: the worse, the higher. Unknown words rank lowest.
func (s Severity) Rank() int {
	switch s {
	case SeverityInfo:
		return 1
	case SeverityLow:
		return 2
	case SeverityMedium:
		return 3
	case SeverityHigh:
		return 4
	case SeverityCritical:
		return 5
	default:
		return 0
	}
}

// Risk statuses.
const (
	RiskOpen     = "open"
	RiskResolved = "resolved"
)

// Risk is something wrong with an asset.
type Risk struct {
	// Key is the vendor's identifier.
	Key string
	// Asset is what the risk is on.
	Asset *Asset
	// Title is one line for people.
	Title string
	// Severity is one of the constants above.
	Severity Severity
	// Status is RiskOpen or RiskResolved.
	Status string
	// Description is at most 4,000 characters.
	Description string
}

// NewRisk returns an open risk on an asset.
func NewRisk(key string, asset *Asset) *Risk {
	return &Risk{Key: key, Asset: asset, Severity: SeverityInfo, Status: RiskOpen}
}
