"""What Stripe says becomes what a workspace has: read, chosen from, written down, compared every night."""
