package wiz

import (
	"fmt"
	"log/slog"
	"strings"

	"example.com/chariot/backend/pkg/model"
)

// maxDescription is what the platform keeps of a description, in characters.
const maxDescription = 4000

// transformAsset maps a resource to an asset.
func transformAsset(item *WizAsset) *model.Asset {
	asset := model.NewAsset(item.ID, item.Name)
	if item.Hostname != nil {
		asset.DNS = normalizeHostname(*item.Hostname)
	}
	if item.CloudID != nil {
		asset.CloudID = *item.CloudID
	}
	if item.DeletedAt != nil || item.Status == WizAssetStatusDeleted {
		slog.Info("wiz: asset is deleted, sent as inactive", "asset", item.ID)
		asset.Status = model.StatusInactive
	}
	asset.SetAttribute("type", strings.ToLower(string(item.Type)))
	for name, value := range item.Tags {
		if value == nil {
			continue
		}
		asset.SetAttribute("tag/"+name, fmt.Sprint(value))
	}
	return asset
}

// normalizeHostname gives a host name the one form the platform joins assets by: no space around
// it, lower case, without the root's trailing dot.
func normalizeHostname(hostname string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(hostname)), ".")
}

// transformRisk maps a finding on an asset to a risk.
func transformRisk(finding *WizFinding, asset *model.Asset) *model.Risk {
	risk := model.NewRisk(finding.ID, asset)
	risk.Title = finding.Rule.Title
	if risk.Title == "" {
		risk.Title = finding.Rule.Key
	}
	risk.Severity = mapSeverity(finding.Severity)
	if finding.Status == WizFindingStatusResolved || finding.ResolvedAt != nil {
		risk.Status = model.RiskResolved
	}
	if finding.Description != nil {
		risk.Description = truncate(*finding.Description, maxDescription)
	}
	return risk
}

// mapSeverity maps a severity; a word that is not known becomes info, and the log says so.
func mapSeverity(severity WizSeverity) model.Severity {
	switch WizSeverity(strings.ToUpper(string(severity))) {
	case WizSeverityCritical:
		return model.SeverityCritical
	case WizSeverityHigh:
		return model.SeverityHigh
	case WizSeverityMedium:
		return model.SeverityMedium
	case WizSeverityLow:
		return model.SeverityLow
	case WizSeverityInformational:
		return model.SeverityInfo
	default:
		slog.Warn("wiz: unknown severity, taken as info", "severity", severity)
		return model.SeverityInfo
	}
}

// truncate keeps at most limit characters, never a part of one.
func truncate(text string, limit int) string {
	characters := []rune(text)
	if len(characters) <= limit {
		return text
	}
	return string(characters[:limit])
}
