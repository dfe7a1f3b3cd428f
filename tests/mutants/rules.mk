# tests/mutants/rules.mk, part of the Makefile: lines broken one at a time; T="WORD..." for some, J=N at once.
mutants: check-build
	@tests/mutants/run $(if $(J),-j $(J)) $(BUILD) $(T)
.PHONY: mutants
