// Package model holds the entities that integrations hand to the platform.
package model

// Asset statuses.
const (
	StatusActive   = "active"
	StatusInactive = "inactive"
)

// Asset is something a customer owns: a machine, a container, a bucket.
type Asset struct {
	// Key is the vendor's identifier; it never changes.
	Key string
	// Name is for people.
	Name string
	// DNS is the host name. The platform joins assets by it, byte by byte.
	DNS string
	// CloudID is the cloud provider's identifier, if there is one.
	CloudID string
	// Status is StatusActive or StatusInactive.
	Status string
	// Attributes is whatever else the vendor knows.
	Attributes map[string]string
}

// NewAsset returns an active asset.
func NewAsset(key, name string) *Asset {
	return &Asset{Key: key, Name: name, Status: StatusActive, Attributes: map[string]string{}}
}

// SetAttribute records an attribute; empty values are left out.
func (a *Asset) SetAttribute(name, value string) {
	if value == "" {
		return
	}
	a.Attributes[name] = value
}
