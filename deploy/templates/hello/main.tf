terraform {
  required_version = ">= 1.4"
}

variable "greeting" {
  description = "The word to greet with."
  type        = string
  default     = "hello"
}

# Built into Terraform: no provider is downloaded, no network is used.
resource "terraform_data" "hello" {
  input = var.greeting

  # Runs when the workspace is created. The daemon passes the workspace's name in the environment.
  provisioner "local-exec" {
    command = "echo \"$GREETING from $CODER_WORKSPACE_NAME\""

    environment = {
      GREETING = var.greeting
    }
  }
}
