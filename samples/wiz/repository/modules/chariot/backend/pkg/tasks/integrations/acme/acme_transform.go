package acme

import (
	"log/slog"
	"strings"

	"example.com/chariot/backend/pkg/model"
)

func transformHost(host *AcmeHost) *model.Asset {
	asset := model.NewAsset(host.ID, host.Label)
	if host.FQDN != nil {
		asset.DNS = strings.ToLower(strings.TrimSuffix(*host.FQDN, "."))
	}
	if host.State == AcmeHostRetired {
		asset.Status = model.StatusInactive
	}
	return asset
}

func transformAlert(alert *AcmeAlert, asset *model.Asset) *model.Risk {
	risk := model.NewRisk(alert.ID, asset)
	risk.Title = alert.Summary
	risk.Severity = mapLevel(alert.Level)
	return risk
}

func mapLevel(level int) model.Severity {
	switch level {
	case 1:
		return model.SeverityInfo
	case 2:
		return model.SeverityLow
	case 3:
		return model.SeverityMedium
	case 4:
		return model.SeverityHigh
	case 5:
		return model.SeverityCritical
	default:
		slog.Warn("acme: unknown alert level, taken as info", "level", level)
		return model.SeverityInfo
	}
}
