#!/bin/sh
echo linked >built
