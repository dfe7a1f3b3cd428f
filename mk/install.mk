# mk/install.mk: make install, make uninstall, and the Debian packages.

SHARE = $(DESTDIR)$(PREFIX)/share
LIBBASH = $(DESTDIR)$(PREFIX)/lib/bash
BASHDIR = $(SHARE)/bash-completion/completions
ZSHDIR = $(SHARE)/zsh/site-functions
FISHDIR = $(SHARE)/fish/vendor_completions.d
MAN = $(sort $(wildcard man/*.1 man/*.7))

# bash and fish look for a file by the command's name, so each applet gets a link there too.
install: all
	mkdir -p $(DESTDIR)$(PREFIX)/bin $(BASHDIR) $(ZSHDIR) $(FISHDIR) $(SHARE)/man/man1 $(SHARE)/man/man7
	install -m 755 $(BUILD)/ipcbox $(DESTDIR)$(PREFIX)/bin/ipcbox
	install -m 644 completions/ipcbox.bash $(BASHDIR)/ipcbox
	install -m 644 completions/ipcbox.fish $(FISHDIR)/ipcbox.fish
	install -m 644 completions/_ipcbox $(ZSHDIR)/_ipcbox
	@for n in $(NAMES); do ln -sfn ipcbox $(DESTDIR)$(PREFIX)/bin/$$n && \
		ln -sfn ipcbox $(BASHDIR)/$$n && ln -sfn ipcbox.fish $(FISHDIR)/$$n.fish || exit; done
	if [ -e $(BUILD)/ipcbox.so ]; then mkdir -p $(LIBBASH) && install -m 644 $(BUILD)/ipcbox.so $(LIBBASH)/; fi
	@for m in $(MAN); do install -m 644 $$m $(SHARE)/man/man$${m##*.}/ || exit; done

uninstall:
	rm -f $(foreach n,ipcbox $(NAMES),$(DESTDIR)$(PREFIX)/bin/$n $(BASHDIR)/$n $(FISHDIR)/$n.fish)
	rm -f $(LIBBASH)/ipcbox.so $(ZSHDIR)/_ipcbox $(foreach m,$(MAN),$(SHARE)/man/man$(subst .,,$(suffix $m))/$(notdir $m))

# The Debian packages, into $(BUILD)/deb; debian/README.source says how they differ from make install.
deb:
	@debian/build $(BUILD)/deb

.PHONY: install uninstall deb
