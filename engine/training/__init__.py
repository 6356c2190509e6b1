"""Training, distillation and evaluation. Only the command line imports this package."""
