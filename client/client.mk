# The C library (client/include/weir.h), and installing it with the programs. Included by the Makefile.
#
# Its objects are compiled for themselves: position-independent, with all hidden but what the header declares. Of the
# libraries that it is made of only what is needed goes in, and those of which only the headers are, are not compiled:
# the linker says if that changes.
LIBRARY_NEEDS_NOT := intake storage block
LIBRARY_VERSION := 0.1.0
LIBRARY_SONAME := libweir.so.0
LIBRARY := $(BUILD)/library
LIBRARY_LIBS := -lzmq -lmsgpackc -lyaml

PIC_CFLAGS := -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections
pic_of = $(patsubst %.c,$(BUILD)/pic/%.o,$(1))
PIC_API := $(call pic_of,$(call sources_of,api))
PIC_REST := $(call pic_of,$(foreach l,$(filter-out api $(LIBRARY_NEEDS_NOT),$(call closure,api)),$(call sources_of,$(l))))

$(BUILD)/pic/%.o: %.c | build/deps.ok
	@mkdir -p $(@D)
	@echo "  CC   $< (for the library)"
	@$(CC) $(CFLAGS) $(PIC_CFLAGS) -c -o $@ $<

$(LIBRARY)/rest.a: $(PIC_REST)
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

$(LIBRARY)/libweir.so.$(LIBRARY_VERSION): $(PIC_API) $(LIBRARY)/rest.a client/weir.map
	@echo "  LINK $@"
	@$(CC) -shared $(LDFLAGS) -Wl,-soname,$(LIBRARY_SONAME) -Wl,--version-script=client/weir.map -Wl,--no-undefined \
		-Wl,--gc-sections -o $@ $(PIC_API) $(LIBRARY)/rest.a $(LIBRARY_LIBS)
	@ln -sf libweir.so.$(LIBRARY_VERSION) $(LIBRARY)/$(LIBRARY_SONAME)
	@ln -sf $(LIBRARY_SONAME) $(LIBRARY)/libweir.so

# One object, whose only names for others are weir_*: names of the inside are no concern of a program's.
$(LIBRARY)/libweir.a: $(PIC_API) $(LIBRARY)/rest.a
	@echo "  AR   $@"
	@ld -r -o $(LIBRARY)/weir.o $(PIC_API) $(LIBRARY)/rest.a
	@objcopy --wildcard --keep-global-symbol='weir_*' $(LIBRARY)/weir.o
	@rm -f $@
	@ar rcs $@ $(LIBRARY)/weir.o

.PHONY: library install uninstall
library: $(LIBRARY)/libweir.so.$(LIBRARY_VERSION) $(LIBRARY)/libweir.a ## build the C library, shared and static

# ---- installing: make install PREFIX=/usr DESTDIR=/tmp/image ----
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
INSTALLED := $(addprefix $(BINDIR)/,$(PROGRAMS)) $(INCLUDEDIR)/weir.h $(PKGCONFIGDIR)/weir.pc \
             $(addprefix $(LIBDIR)/,libweir.a libweir.so $(LIBRARY_SONAME) libweir.so.$(LIBRARY_VERSION))

install: programs library ## install the programs and the C library (PREFIX=/usr DESTDIR=/tmp/image)
	@install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(PKGCONFIGDIR)
	@install -m 755 $(addprefix $(BUILD)/bin/,$(PROGRAMS)) $(DESTDIR)$(BINDIR)
	@install -m 644 client/include/weir.h $(DESTDIR)$(INCLUDEDIR)/weir.h
	@install -m 644 $(LIBRARY)/libweir.a $(DESTDIR)$(LIBDIR)
	@install -m 755 $(LIBRARY)/libweir.so.$(LIBRARY_VERSION) $(DESTDIR)$(LIBDIR)
	@ln -sf libweir.so.$(LIBRARY_VERSION) $(DESTDIR)$(LIBDIR)/$(LIBRARY_SONAME)
	@ln -sf $(LIBRARY_SONAME) $(DESTDIR)$(LIBDIR)/libweir.so
	@sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(LIBDIR)|' -e 's|@includedir@|$(INCLUDEDIR)|' \
		-e 's|@version@|$(LIBRARY_VERSION)|' client/weir.pc.in > $(DESTDIR)$(PKGCONFIGDIR)/weir.pc
	@chmod 644 $(DESTDIR)$(PKGCONFIGDIR)/weir.pc
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi
	@echo "  installed below $(DESTDIR)$(PREFIX)"

uninstall: ## remove what make install has installed there
	@rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

-include $(PIC_API:.o=.d) $(PIC_REST:.o=.d)
