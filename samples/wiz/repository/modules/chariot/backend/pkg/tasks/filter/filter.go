// Package filter decides what a customer does not want to have on the platform.
package filter

import (
	"strings"

	"example.com/chariot/backend/pkg/model"
)

// VMFilter holds a customer's choices. Each method answers one question: must the processing of
// this entity stop? True means stop: neither send it nor look at what hangs on it.
type VMFilter struct {
	minSeverity model.Severity
	skipDomain  string
}

// NewVMFilter reads the choices from the job's settings: "min_severity" and "skip_domain".
func NewVMFilter(job *model.Job) *VMFilter {
	return &VMFilter{
		minSeverity: model.Severity(job.Settings["min_severity"]),
		skipDomain:  strings.ToLower(job.Settings["skip_domain"]),
	}
}

// Asset is true when the asset lies in the domain that the customer left out.
func (f *VMFilter) Asset(asset *model.Asset) bool {
	if f.skipDomain == "" {
		return false
	}
	name := strings.ToLower(asset.DNS)
	return name == f.skipDomain || strings.HasSuffix(name, "."+f.skipDomain)
}

// Risk is true when the risk is less severe than the customer cares for.
func (f *VMFilter) Risk(risk *model.Risk) bool {
	return risk.Severity.Rank() < f.minSeverity.Rank()
}
