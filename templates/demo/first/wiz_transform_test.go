package wiz

import (
	"strings"
	"testing"

	"example.com/chariot/backend/pkg/model"
)

func TestTransformAssetFillsTheMapping(t *testing.T) {
	hostname, cloud := "web.example.com", "i-0abc"
	asset := transformAsset(&WizAsset{
		ID: "a-1", Name: "web", Type: WizAssetTypeVM, Status: WizAssetStatusRunning,
		Hostname: &hostname, CloudID: &cloud,
		Tags: map[string]any{"team": "shop", "cost": 12, "gone": nil},
	})
	if asset.Key != "a-1" || asset.CloudID != cloud || asset.Status != model.StatusActive {
		t.Errorf("got %+v", asset)
	}
	if asset.DNS != "web.example.com" {
		t.Errorf("DNS is %q", asset.DNS)
	}
	want := map[string]string{"type": "virtual_machine", "tag/team": "shop", "tag/cost": "12"}
	if len(asset.Attributes) != len(want) {
		t.Errorf("attributes are %v, want %v", asset.Attributes, want)
	}
	for name, value := range want {
		if asset.Attributes[name] != value {
			t.Errorf("%s is %q, want %q", name, asset.Attributes[name], value)
		}
	}
}

func TestTransformAssetBearsWhatIsMissing(t *testing.T) {
	asset := transformAsset(&WizAsset{ID: "a-2", Status: WizAssetStatusDeleted})
	if asset.DNS != "" || asset.CloudID != "" || asset.Status != model.StatusInactive {
		t.Errorf("got %+v", asset)
	}
}

func TestTransformRisk(t *testing.T) {
	long := strings.Repeat("ü", maxDescription+1)
	asset := model.NewAsset("a-1", "web")
	risk := transformRisk(&WizFinding{
		ID: "f-1", Rule: WizRule{Key: "TLS-1"}, Severity: "high", Status: WizFindingStatusResolved,
		Description: &long,
	}, asset)
	if risk.Title != "TLS-1" || risk.Severity != model.SeverityHigh || risk.Asset != asset {
		t.Errorf("got %+v", risk)
	}
	if risk.Status != model.RiskResolved {
		t.Errorf("status is %q", risk.Status)
	}
	if got := len([]rune(risk.Description)); got != maxDescription {
		t.Errorf("description has %d characters", got)
	}
	if got := mapSeverity("SOMETHING"); got != model.SeverityInfo {
		t.Errorf("unknown severity became %q", got)
	}
}
