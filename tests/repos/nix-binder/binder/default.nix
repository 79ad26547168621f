builtins.derivation {
  name = "shell";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  DATA = builtins.readFile ../data.txt;
}
