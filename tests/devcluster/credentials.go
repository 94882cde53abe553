package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

// credentials of one cluster. The admin's token is random, so that a port taken over by another
// cluster can never be mistaken for this one.
type credentials struct {
	token             string
	tokenFile         string
	serviceAccountKey string
	certDir           string
	kubeconfig        string
}

// ca is the apiserver's self-signed certificate with its authority, written by the apiserver itself.
func (c credentials) ca() string { return filepath.Join(c.certDir, "apiserver.crt") }

func makeCredentials(dir string) (credentials, error) {
	c := credentials{
		token:             rand.Text(),
		tokenFile:         filepath.Join(dir, "tokens.csv"),
		serviceAccountKey: filepath.Join(dir, "service-account.key"),
		certDir:           filepath.Join(dir, "certs"),
		kubeconfig:        filepath.Join(dir, "kubeconfig"),
	}
	if err := os.WriteFile(c.tokenFile, []byte(c.token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return c, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return c, err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return c, os.WriteFile(c.serviceAccountKey, block, 0o600)
}

func (c credentials) writeKubeconfig(server string) error {
	return os.WriteFile(c.kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: devcluster
  cluster: {server: %q, certificate-authority: %q}
users:
- name: admin
  user: {token: %q}
contexts:
- name: devcluster
  context: {cluster: devcluster, user: admin}
current-context: devcluster
`, server, c.ca(), c.token), 0o600)
}
