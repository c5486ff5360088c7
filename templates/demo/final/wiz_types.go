package wiz

import "time"

// WizAssetType says what kind of thing an asset is.
type WizAssetType string

// Kinds of assets.
const (
	WizAssetTypeVM        WizAssetType = "VIRTUAL_MACHINE"
	WizAssetTypeContainer WizAssetType = "CONTAINER"
	WizAssetTypeBucket    WizAssetType = "BUCKET"
)

// WizAssetStatus says whether an asset is in use.
type WizAssetStatus string

// Statuses of an asset.
const (
	WizAssetStatusRunning WizAssetStatus = "RUNNING"
	WizAssetStatusStopped WizAssetStatus = "STOPPED"
	WizAssetStatusDeleted WizAssetStatus = "DELETED"
)

// WizSeverity says how bad a finding is.
type WizSeverity string

// Severities of a finding.
const (
	WizSeverityInformational WizSeverity = "INFORMATIONAL"
	WizSeverityLow           WizSeverity = "LOW"
	WizSeverityMedium        WizSeverity = "MEDIUM"
	WizSeverityHigh          WizSeverity = "HIGH"
	WizSeverityCritical      WizSeverity = "CRITICAL"
)

// WizFindingStatus says whether a finding still stands.
type WizFindingStatus string

// Statuses of a finding.
const (
	WizFindingStatusOpen     WizFindingStatus = "OPEN"
	WizFindingStatusResolved WizFindingStatus = "RESOLVED"
)

// WizUser is the answer of GET /me: whom the token belongs to.
type WizUser struct {
	ID     string   `json:"id"`
	Email  string   `json:"email"`
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
}

// WizAsset is one cloud resource, as in GET /assets and GET /assets/{id}.
type WizAsset struct {
	ID     string         `json:"id"`
	Name   string         `json:"name"`
	Type   WizAssetType   `json:"type"`
	Status WizAssetStatus `json:"status"`
	// Hostname is missing for what has no name on the network.
	Hostname *string `json:"hostname,omitempty"`
	// CloudID is the cloud provider's own identifier.
	CloudID *string `json:"cloudPlatformId,omitempty"`
	// DeletedAt is set once the resource is gone.
	DeletedAt *time.Time `json:"deletedAt,omitempty"`
	// Tags holds strings, numbers and booleans, as the cloud provider gave them.
	Tags map[string]any `json:"tags,omitempty"`
}

// WizRule is what a finding was found by.
type WizRule struct {
	Key   string `json:"key"`
	Title string `json:"title"`
}

// WizFinding is one problem on one asset, as in GET /assets/{id}/findings.
type WizFinding struct {
	ID       string           `json:"id"`
	Rule     WizRule          `json:"rule"`
	Severity WizSeverity      `json:"severity"`
	Status   WizFindingStatus `json:"status"`
	// Description is Markdown of any length.
	Description *string `json:"description,omitempty"`
	// ResolvedAt is set once the finding is resolved.
	ResolvedAt *time.Time `json:"resolvedAt,omitempty"`
}

// WizAssetPage is the answer of GET /assets.
type WizAssetPage struct {
	Items []WizAsset `json:"items"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"nextCursor"`
}

// WizFindingPage is the answer of GET /assets/{id}/findings.
type WizFindingPage struct {
	Items []WizFinding `json:"items"`
	// NextCursor is empty on the last page.
	NextCursor string `json:"nextCursor"`
}
