//! What expressions mean, as a table.

use super::*;

#[test]
fn selectors_mean_what_they_mean_in_kubernetes() {
    let agent = labels(&[("env", "prod"), ("tier", "a"), ("gpu", ""), ("in", "x")]);
    for (text, holds) in [
        ("env=prod", true),
        ("env==prod", true),
        ("env=test", false),
        ("env!=test", true),
        ("env!=prod", false),
        ("absent!=prod", true),
        ("absent=prod", false),
        ("absent=", false),
        ("gpu=", true),
        ("gpu!=", false),
        ("env=", false),
        ("tier in (a,b)", true),
        ("tier in (b,c)", false),
        ("tier in (b, ,a)", true),
        ("gpu in (,a)", true),
        ("absent in (a)", false),
        ("tier notin (b,c)", true),
        ("tier notin (a,b)", false),
        ("absent notin (a,b)", true),
        ("gpu", true),
        ("absent", false),
        ("!gpu", false),
        ("!absent", true),
        ("! absent", true),
        ("env=prod,tier=a", true),
        ("env=prod,tier=b", false),
        ("env=prod,env=test", false),
        ("in", true),
        ("in in (x)", true),
        ("in notin(x)", false),
        ("\tenv = prod ,\n tier in( a )", true),
    ] {
        let selector: Selector = text.parse().expect(text);
        assert_eq!(selector.holds(&agent), holds, "{text}");
        // All that a selector can say means the same of annotations.
        let conditions: Conditions = text.parse().expect(text);
        let same = annotations(&[("env", "prod"), ("tier", "a"), ("gpu", ""), ("in", "x")]);
        assert_eq!(conditions.holds(&same), holds, "{text}");
    }
}

#[test]
fn conditions_compare() {
    let agent = annotations(&[
        ("memory", "64"),
        ("load", "-0.50"),
        ("driver", "v535.104.05"),
        ("beta", "2.0.0-rc.1"),
        ("zone", "eu-west-1"),
        ("note", "a \"b\", \\c"),
        ("version", "3"),
    ]);
    for (text, holds) in [
        ("memory>=64", true),
        ("memory >= 64.0", true),
        ("memory>64", false),
        ("memory<=064", true),
        ("memory<64.01", true),
        ("load<0", true),
        ("load>-1,load<=-0.5", true),
        ("zone>=1", false),
        ("zone<1", false),
        ("absent>=1", false),
        ("absent<1", false),
        ("version(driver)>=535.104", true),
        ("version(driver)>=535.104.5", true),
        ("version(driver)=535.104.5.0", true),
        ("version(driver)!=535.104.5", false),
        ("version(driver)!=535.104", true),
        ("version( driver ) < v536", true),
        ("version(driver)>535.104.5", false),
        ("version(beta)<2", true),
        ("version(beta)>=2.0.0-rc.1+build7", true),
        ("version(zone)>=0", false),
        ("version(zone)!=1", false),
        ("version(absent)!=1", false),
        ("version=3", true),
        ("version>2", true),
        ("version(version)=3", true),
        ("zone startswith eu-", true),
        ("zone startswith us-", false),
        ("absent startswith a", false),
        (r#"note="a \"b\", \\c""#, true),
        (r#"note in ("x,y","a \"b\", \\c")"#, true),
        (r#"note startswith "a ""#, true),
        (r#"absent!="a b""#, true),
    ] {
        let conditions: Conditions = text.parse().expect(text);
        assert_eq!(conditions.holds(&agent), holds, "{text}");
    }
}

#[test]
fn facts_admit() {
    let facts: Facts = read(json!({
        "kubernetes_version": "v1.33.2+k3s1",
        "provider": "aws",
        "kinds": ["Pod", "apps/Deployment", "cert-manager.io/Certificate"],
        "of_a_newer_agent": {},
    }));
    for (text, holds) in [
        ("kubernetes.version>=1.33", true),
        ("kubernetes.version=1.33", false),
        ("kubernetes.version=1.33.2", true),
        ("kubernetes.version!=1.33.2", false),
        ("kubernetes.version>=1.33,kubernetes.version<1.34", true),
        ("kubernetes.version", true),
        ("!kubernetes.version", false),
        ("version(kubernetes.version)>=1.33", true),
        ("provider=aws", true),
        ("provider in (aws,gcp)", true),
        ("provider!=aws", false),
        ("region=x", false),
        ("region!=x", true),
        ("!region", true),
        ("provider startswith a", true),
        ("kinds has Pod", true),
        ("kinds has cert-manager.io/Certificate", true),
        ("kinds has Certificate", false),
    ] {
        let conditions: FactConditions = text.parse().expect(text);
        assert_eq!(conditions.holds(&facts), holds, "{text}");
    }
}

#[test]
fn the_mark_of_a_distribution_is_a_pre_release() {
    for (version, text, holds) in [
        ("v1.33.0-eks-1", "kubernetes.version>=1.33", false),
        ("v1.33.0-eks-1", "kubernetes.version>=1.33-0", true),
        ("v1.33.4-eks-1", "kubernetes.version>=1.33", true),
        (
            "v1.33.9-gke.1000",
            "kubernetes.version>=1.33-0,kubernetes.version<1.34-0",
            true,
        ),
        (
            "v1.34.0-rc.1",
            "kubernetes.version>=1.33-0,kubernetes.version<1.34-0",
            false,
        ),
    ] {
        let facts: Facts = read(json!({"kubernetes_version": version}));
        let conditions: FactConditions = text.parse().expect(text);
        assert_eq!(conditions.holds(&facts), holds, "{version} {text}");
    }
}
