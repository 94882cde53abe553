package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// components are the programs this binary is when re-executed with their name; they do not return.
var components = map[string]func(args []string){
	"kube-apiserver": func(args []string) {
		cmd := apiserver.NewAPIServerCommand()
		cmd.SetArgs(args)
		os.Exit(cli.Run(cmd))
	},
	"kube-controller-manager": func(args []string) {
		cmd := controllermanager.NewControllerManagerCommand()
		cmd.SetArgs(args)
		os.Exit(cli.Run(cmd))
	},
}

// children are the processes of all clusters. However devcluster ends, none outlives it: the
// kernel kills them with the thread that started them, which is why main's thread starts them all.
type children struct {
	starts chan func()
	died   chan error

	mu      sync.Mutex
	running map[*child]bool
	killed  bool
}

type child struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
}

func newChildren() *children {
	return &children{starts: make(chan func()), died: make(chan error, 1), running: map[*child]bool{}}
}

// start runs a component with its output in DIR/<cluster>/<component>.log.
func (c *children) start(dir, cluster, component string, args ...string) (*child, error) {
	path := filepath.Join(dir, cluster, component+".log")
	log, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", append([]string{component}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of their own keeps a Ctrl-C at the terminal for devcluster, which then ends them in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}

	child := &child{cmd: cmd, log: path, exited: make(chan struct{})}
	started := make(chan error, 1)
	c.starts <- func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		err := cmd.Start()
		c.running[child] = err == nil
		started <- err
	}
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", component, err)
	}
	go func() {
		_ = cmd.Wait()
		c.mu.Lock()
		delete(c.running, child)
		c.mu.Unlock()
		close(child.exited)
	}()
	return child, nil
}

// mustLive makes the end of a child the end of devcluster: a test shall not wait for half a cluster.
func (c *children) mustLive(child *child) {
	go func() {
		<-child.exited
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.killed {
			select {
			case c.died <- child.failure():
			default:
			}
		}
	}()
}

// kill ends all at once, without grace: what they hold is thrown away with DIR.
func (c *children) kill() {
	c.mu.Lock()
	c.killed = true
	var left []*child
	for child, running := range c.running {
		if running {
			_ = child.cmd.Process.Kill()
			left = append(left, child)
		}
	}
	c.mu.Unlock()
	for _, child := range left {
		<-child.exited
	}
}

func (c *child) failure() error {
	return fmt.Errorf("%s ended by itself (%s): read %s", c.cmd.Args[1], c.cmd.ProcessState, c.log)
}
