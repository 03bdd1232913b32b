# From a folder of photographs to a trained head, remade only when something changed. Installed, it
# is used from any folder:
#
#   make -f "$(permafrost --makefile)" DATA=photos BACKBONE=resnet18 head
#
#   DATA=FOLDER      class folders, or train/ val/ of class folders, or what else extract takes
#   BACKBONE=NAME    resnet18 ... vgg19_bn, or a TorchScript or ONNX file
#   WEIGHTS=FILE     the weights, or random:0; without it, what extract finds by itself
#   EXTRACT_FLAGS=   more options for extract, e.g. "--resize 96 --crop 96"
#   TRAIN_FLAGS=     more options for train, e.g. "--epochs 50 --lr 1e-3"
#   OUT=out          where the cache and the head go; a name without spaces and what make or the shell take apart
#
# `cache` makes the cache alone. A makefile that includes this one may say by $(call run,PROGRAM) what
# runs a program, and in PREPARED what has to be made before.

OUT ?= out
ifeq ($(origin run),undefined)
run = permafrost $(1)
.DEFAULT_GOAL := head
endif

# ---- names ----

define newline


endef
empty :=
space := $(empty) $(empty)
hash := \#
# What make or the shell take apart, besides white space.
SPECIAL := ' " ` $$ & ; | < > ( ) * ? { } [ ] \ % : = $(hash)

# $(call quote,TEXT): one word for the shell. $(call path,NAME): the same, but ~/ in front is the home folder, as it is unquoted.
quote = '$(subst ','\'',$(1))'
path  = $(call quote,$(subst $(newline),,$(subst $(newline)~/,$(HOME)/,$(newline)$(1))))
# $(call plain,NAME): _ in place of what is taken apart.
plain = $(if $(call taken_apart,$(1)),$(shell printf %s $(call quote,$(1)) | \
  tr $(call quote,[:space:]$(subst \,\\,$(SPECIAL))) '[_*]'),$(1))
taken_apart = $(strip $(findstring |$(space),|$(1))$(findstring $(space)|,$(1)|)$(filter-out 1,$(words $(1)))$(foreach character,$(SPECIAL),$(findstring $(character),$(1))))

# Names of targets, which make cannot quote.
as_given = $(if $(filter file,$(origin $(1))),$($(1)),$(value $(1)))
check_target = $(if $(call taken_apart,$(call as_given,$(1))),$(error $(1): make cannot have white space, nor any of \
  $(SPECIAL), in the name of a folder that it writes to, and this one is '$(call as_given,$(1))'. Say another one, or the name of a link to it: \
  ln -s $(call quote,$(call as_given,$(1))) out))
check_line = $(if $(findstring $(newline),$(value $(1))),$(error $(1): a name with a line break))
$(foreach name,BUILD OUT,$(if $(filter undefined,$(origin $(name))),,$(call check_target,$(name))))
$(if $(filter undefined,$(origin DOWNLOADS)),,$(call check_target,DOWNLOADS))
$(foreach name,DATA BACKBONE WEIGHTS,$(call check_line,$(name)))
# From here on $ is a character in them, also where they are exported.
$(foreach name,DATA BACKBONE WEIGHTS,$(if $(filter undefined,$(origin $(name))),,$(eval override $(name) := $$(value $(name)))))

# ---- the cache and the head ----

# DATA, BACKBONE and WEIGHTS may have any name, and reach the programs as they are. In the
# names of what is made, characters that make or the shell take apart become _.
NETWORK  := $(or $(BACKBONE),resnet18)
STEM     := $(OUT)/$(patsubst %.csv,%,$(notdir $(patsubst %/,%,$(call plain,$(DATA)))))-$(basename $(notdir $(call plain,$(NETWORK))))
CACHE    := $(STEM).h5
HEAD     := $(STEM).safetensors

cache: $(CACHE)
head: $(HEAD)

ifneq ($(DATA),)
# extract always looks, and leaves an unchanged cache and its date alone.
$(CACHE): $(PREPARED) FORCE
	@mkdir -p $(OUT)
	@$(call run,extract) $(call path,$(DATA)) -o $@ --backbone $(call path,$(NETWORK)) \
	  $(if $(WEIGHTS),--weights $(call path,$(WEIGHTS))) $(EXTRACT_FLAGS)

# Changes only when the flags do.
$(STEM).flags: FORCE
	@mkdir -p $(OUT)
	@printf '%s\n' $(call quote,$(TRAIN_FLAGS)) | cmp -s - $@ || printf '%s\n' $(call quote,$(TRAIN_FLAGS)) > $@

$(HEAD): $(CACHE) $(STEM).flags
	@$(call run,train) $(CACHE) -o $@ --json $(STEM).json $(TRAIN_FLAGS)
else
cache head $(CACHE) $(HEAD):
	@echo 'which images? make -f $(firstword $(MAKEFILE_LIST)) DATA=photos BACKBONE=resnet18 head' >&2; exit 2
endif

.PHONY: cache head FORCE
FORCE:
