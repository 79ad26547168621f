# A shell without nixpkgs: what it consists of is built by /bin/sh alone.
let
  make =
    name: text:
    builtins.derivation {
      inherit name;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [ "-c" text ];
      allowSubstitutes = false;
      preferLocalBuild = true;
    };
  greet = make "greet" ''
    /bin/mkdir -p $out/bin
    printf '#!/bin/sh\necho hello from the store' > $out/bin/greet
    /bin/chmod +x $out/bin/greet
  '';
  stdenv = make "stdenv" ''
    /bin/mkdir $out
    echo "export PATH=${greet}/bin:\$PATH" > $out/setup
  '';
in
builtins.derivation {
  name = "shell";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  inherit stdenv;
  GREETING = "set by default.nix";
}
