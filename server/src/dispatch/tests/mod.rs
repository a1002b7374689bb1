mod conformance;
mod handing_out;
